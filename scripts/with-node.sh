#!/usr/bin/env bash
# Runs a script of this project with the Node it is pinned to, on a machine that has any Node with npm.
# usage: bash scripts/with-node.sh SCRIPT.ts [ARGUMENT ...]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# npm writes this file last.
installed=node_modules/.package-lock.json
if [ ! -e "$installed" ] || [ package-lock.json -nt "$installed" ]; then
  echo "== npm ci"
  # Without install scripts: the one that is needed compiles pkcs11js, which wants a compiler (scripts/native.ts).
  install=(npm ci --ignore-scripts --no-fund --no-audit --progress=false --loglevel=error)
  "${install[@]}" || "${install[@]}"
  touch "$installed"
fi

export PATH="$PWD/node_modules/.bin:$PATH"
exec node_modules/.bin/node "$@"
