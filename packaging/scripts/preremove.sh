#!/bin/sh
# Before a removal or an upgrade. The arguments of deb: remove, or upgrade NEW-VERSION; of rpm: the number of versions that
# stay installed.
set -e
case "$1" in
  remove | 0)
    if [ -d /run/systemd/system ]; then
      systemctl --no-reload disable --now jvb-watcher.service
    elif command -v systemctl >/dev/null; then
      # In a root that isn't running, e.g. of an image: only the links.
      systemctl --no-reload disable jvb-watcher.service
    fi
    ;;
esac
