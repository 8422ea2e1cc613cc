{{/* Host by which proxies and gateways reach the adapter. */}}
{{- define "tollgate.host" -}}
tollgate-adapter.{{ .Release.Namespace }}.svc.cluster.local
{{- end }}

{{/* Host of the gateways' own pages. */}}
{{- define "tollgate.systemHost" -}}
{{ .Values.systemHost | default .Values.virtualHost }}
{{- end }}

{{/* Port of the adapter's service by which Istio's proxies reach the feed. */}}
{{- define "tollgate.feedPort" -}}
{{ ternary .Values.ports.meshFeed .Values.ports.feed (eq .Values.link "mesh") }}
{{- end }}

{{/* Port of the adapter's service that takes the logs of Istio's proxies. */}}
{{- define "tollgate.logPort" -}}
{{ ternary .Values.ports.meshFeed .Values.ports.xds (eq .Values.link "mesh") }}
{{- end }}

{{/* How Istio's proxies speak to the adapter. */}}
{{- define "tollgate.link" -}}
{{- if eq .Values.link "mesh" -}}
mode: ISTIO_MUTUAL
{{- else -}}
# The adapter speaks mutual TLS itself, with certificates of its own authority.
mode: MUTUAL
credentialName: {{ .Values.proxies.secret }}
sni: {{ include "tollgate.host" . }}
subjectAltNames: [{{ include "tollgate.host" . }}]
{{- end }}
{{- end }}

{{/* Labels of a part: dict "part" */}}
{{- define "tollgate.labels" -}}
app.kubernetes.io/name: {{ .part }}
app.kubernetes.io/part-of: tollgate
{{- end }}

{{- define "tollgate.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10500
runAsGroup: 10500
fsGroup: 10500
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "tollgate.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "tollgate.spread" -}}
- maxSkew: 1
  topologyKey: kubernetes.io/hostname
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      app.kubernetes.io/name: {{ .part }}
{{- end }}

{{/* The configuration when none is given. */}}
{{- define "tollgate.config" -}}
# docs/configuration.md lists all keys.

[[adapter.vhostMapping]]
environment = "{{ .Values.environment }}"
vhost = "{{ .Values.virtualHost }}"

[router]
systemHost = "{{ include "tollgate.systemHost" . }}"

[tollgate.listen]
# Filter modules for proxies that check them by their hash.
filters = {{ .Values.ports.filters }}
{{- if eq .Values.link "mesh" }}
# The feed for the adapter's own sidecar, which judges by the mesh's certificates who may ask.
meshFeed = {{ .Values.ports.meshFeed }}
{{- end }}
{{- if .Values.analytics }}

[analytics]
enabled = true
type = "ELK"
{{- end }}
{{ end }}
