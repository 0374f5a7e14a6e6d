#!/bin/sh
# Runs a command with the task's passwords in its environment: with-passwords PASSWORDS NAME… -- COMMAND…
#
# A variable that has a value already keeps it: ECS sets it from SSM or Secrets Manager.
set -eu
passwords=$1
shift
while [ "$1" != -- ]; do
  if [ -z "$(printenv "$1" || true)" ]; then
    password=$(cat "$passwords/$1")
    export "$1=$password"
  fi
  shift
done
shift
# The command replaces the shell: /init refuses to run as another process than PID 1.
exec "$@"
