//! The machine and the process, measured for the metrics page under the names Choreo Connect's adapter gives them.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sysinfo::{MemoryRefreshKind, Pid, ProcessRefreshKind, ProcessesToUpdate, System, get_current_pid};

/// Measurements, taken anew when they are asked for, but not more often than configured.
#[derive(Debug)]
pub struct Machine {
    interval: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    system: System,
    process: Option<Pid>,
    taken: Option<Instant>,
}

impl Machine {
    /// Nothing measured yet.
    #[must_use]
    pub fn new(interval: Duration) -> Self {
        // Where the process cannot be identified, its own figures are left out.
        let state = State { system: System::new(), process: get_current_pid().ok(), taken: None };
        Self { interval, state: Mutex::new(state) }
    }

    /// Appends the figures in the text format of Prometheus. Reads files of the system: call it off the async threads.
    pub fn write(&self, text: &mut String) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.refresh(self.interval);
        let host = [
            ("os", System::name()),
            ("os_version", System::os_version()),
            ("kernel", System::kernel_version()),
            ("arch", Some(System::cpu_arch())),
            ("hostname", System::host_name()),
        ];
        let labels: Vec<String> =
            host.into_iter().map(|(name, value)| format!("{name}=\"{}\"", label(&value.unwrap_or_default()))).collect();
        head(text, "host_info", "The machine.");
        line(text, &format!("host_info{{{}}} 1", labels.join(",")));
        let load = System::load_average();
        head(text, "os_system_load_average", "Load of the machine.");
        for (duration, value) in [("1m", load.one), ("5m", load.five), ("15m", load.fifteen)] {
            line(text, &format!("os_system_load_average{{duration=\"{duration}\"}} {value}"));
        }
        for (name, help, value) in state.figures() {
            head(text, name, help);
            line(text, &format!("{name} {value}"));
        }
    }
}

impl State {
    fn refresh(&mut self, interval: Duration) {
        if self.taken.is_some_and(|taken| taken.elapsed() < interval) {
            return;
        }
        self.system.refresh_memory_specifics(MemoryRefreshKind::everything());
        self.system.refresh_cpu_usage();
        if let Some(process) = self.process {
            let kind = ProcessRefreshKind::nothing().with_memory();
            self.system.refresh_processes_specifics(ProcessesToUpdate::Some(&[process]), false, kind);
        }
        self.taken = Some(Instant::now());
    }

    fn figures(&self) -> Vec<(&'static str, &'static str, String)> {
        let system = &self.system;
        let all = system.total_memory().saturating_add(system.total_swap());
        let used = system.used_memory().saturating_add(system.used_swap());
        let mut figures = vec![
            ("os_available_cpu_total", "Processors.", system.cpus().len().to_string()),
            ("os_free_physical_memory_bytes", "Free memory.", system.free_memory().to_string()),
            ("os_total_virtual_memory_bytes", "Memory and swap.", all.to_string()),
            ("os_used_virtual_memory_bytes", "Used memory and swap.", used.to_string()),
            ("os_system_cpu_load_percentage", "Load of all processors.", system.global_cpu_usage().to_string()),
        ];
        if let Some(process) = self.process.and_then(|process| system.process(process)) {
            figures.extend([
                ("process_start_time_seconds", "Start of the adapter, since 1970.", process.start_time().to_string()),
                ("process_resident_memory_bytes", "Memory of the adapter.", process.memory().to_string()),
            ]);
            if let Some(open) = process.open_files() {
                figures.push(("process_open_fds", "Open files of the adapter.", open.to_string()));
            }
        }
        figures
    }
}

fn head(text: &mut String, name: &str, help: &str) {
    line(text, &format!("# HELP {name} {help}\n# TYPE {name} gauge"));
}

fn line(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    writeln!(text, "{line}").ok();
}

/// Quoted for a label.
fn label(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_of_the_original_is_there() {
        let mut text = String::new();
        Machine::new(Duration::ZERO).write(&mut text);
        let value = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(&format!("{name} ")));
            line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        };
        for name in [
            "os_available_cpu_total",
            "os_free_physical_memory_bytes",
            "os_total_virtual_memory_bytes",
            "os_used_virtual_memory_bytes",
            "process_start_time_seconds",
            "process_resident_memory_bytes",
            "process_open_fds",
        ] {
            assert!(value(name).is_some_and(|value| value > 0.0), "{name}: {text}");
        }
        assert!(value("os_system_cpu_load_percentage").is_some());
        assert!(text.contains("\nos_system_load_average{duration=\"15m\"} ") && text.contains("host_info{os=\""));
    }

    #[test]
    fn labels_are_quoted() {
        assert_eq!(label("a\"b\\c\nd"), "a\\\"b\\\\c d");
    }
}
