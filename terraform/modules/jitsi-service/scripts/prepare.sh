#!/bin/sh
# Prepares the volumes of one task: prepare OWNER PASSWORDS NAME… -- DIRECTORY…
#
# Writes a random password for each NAME into the directory PASSWORDS, and makes OWNER the owner of it and of the
# directories. An empty volume on Fargate belongs to root with mode 0755, and the images run as another user (Amazon ECS
# Developer Guide, "Use bind mounts with Amazon ECS"). The passwords exist in this task only, and end with it.
set -eu
owner=$1 passwords=$2
shift 2
umask 077
while [ "$1" != -- ]; do
  # Hexadecimal digits: prosody's image passes a password to prosodyctl without quotes.
  password=$(od -A n -v -t x1 -N 32 /dev/urandom | tr -d ' \n')
  if [ ${#password} -ne 64 ]; then
    echo "prepare: cannot read 32 random bytes for $1 from /dev/urandom" >&2
    exit 1
  fi
  printf %s "$password" >"$passwords/$1"
  shift
done
shift
chown -R "$owner" "$passwords" "$@"
