# Sourced by the other scripts: makes .venv if there is none, installs longdream with the extras named in $1, activates it.
# torch is pinned by constraints.txt unless one is installed already, so that an accelerator's own build is kept.

find_python() {
    for candidate in python3 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "longdream needs Python 3.11 or 3.12: none of python3, python3.12, python3.11 is one" >&2
    return 1
}

install_began=$(date +%s)
if [ ! -e .venv/bin/pip ]; then
    python=$(find_python)
    echo "making .venv with $("$python" --version)"
    rm -rf .venv
    "$python" -m venv .venv
fi
# shellcheck disable=SC1091
. .venv/bin/activate
# what is installed already is not asked for again: started once more, a script needs no network
stamp=.venv/installed"$1"
if [ ! -e "$stamp" ] || [ setup.cfg -nt "$stamp" ]; then
    constraints=(-c constraints.txt)
    if python -c 'import torch' 2>/dev/null; then
        constraints=()
    fi
    python -m pip install --quiet --disable-pip-version-check ${constraints[@]+"${constraints[@]}"} -e ".$1"
    touch "$stamp"
fi
echo "installed in $(($(date +%s) - install_began)) s"
