# What the scripts of this folder share: saying what happens, failing in one line, and installing tools inside the project.
# Sourced, never run. Nothing here may touch the system outside the project's folder.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Tools that the project installs for itself; `just clean` removes them.
tools=$root/.tollgate/tools

# Progress goes to stderr: the stdout of a script is its result.
say() {
    printf '==> %s\n' "$*" >&2
}

# fail WHAT FIX
fail() {
    printf 'error: %s; to fix it: %s\n' "$1" "$2" >&2
    exit 1
}

# The absolute form of a path: what we start may run in another folder.
absolute() {
    case $1 in
    /*) echo "$1" ;;
    *) echo "$PWD/$1" ;;
    esac
}

# Installs a PyPI package into a virtual environment of its own, once, and prints the path of the program in it.
# python_tool REQUIREMENT PROGRAM
python_tool() {
    local requirement=$1 program=$2 home=$tools/$2 log=$tools/$2.log
    # The stamp names what is installed: it is written last, so neither a half-finished nor an outdated folder counts.
    if [[ -x $home/bin/$program && $(cat "$home/.installed" 2>/dev/null) == "$requirement" ]]; then
        echo "$home/bin/$program"
        return
    fi
    say "installing $requirement from PyPI into ${home#"$root"/}"
    rm -rf "$home"
    mkdir -p "$tools"
    if ! python3 -m venv "$home" >"$log" 2>&1; then
        rm -rf "$home"
        return 1
    fi
    if ! "$home/bin/python" -m pip install --quiet --disable-pip-version-check "$requirement" >>"$log" 2>&1; then
        return 1
    fi
    [[ -x $home/bin/$program ]] || return 1
    echo "$requirement" >"$home/.installed"
    echo "$home/bin/$program"
}

# Why python_tool cannot work here at all, or nothing.
python_tool_obstacle() {
    if ! command -v python3 >/dev/null; then
        echo "python3 is not installed"
    elif ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
        echo "python3 has no venv module"
    fi
}

# Installs distribution packages with as few rights as that takes.
# apt_install PACKAGE...
apt_install() {
    local as_root=()
    if ! command -v apt-get >/dev/null; then
        return 1
    fi
    if [[ $(id -u) != 0 ]]; then
        command -v sudo >/dev/null && sudo -n true 2>/dev/null || return 1
        as_root=(sudo -n)
    fi
    say "apt-get install $*"
    mkdir -p "$tools"
    {
        "${as_root[@]}" apt-get update &&
            "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "$@"
    } >"$tools/apt.log" 2>&1
}
