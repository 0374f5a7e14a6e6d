#!/bin/sh
# After an installation or an upgrade. The arguments of deb: configure [OLD-VERSION]; of rpm: the number of versions that are
# installed. A new service is neither enabled nor started: it first needs the settings in /etc/jvb-watcher.env.
set -e
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
fi
case "$1:$2" in
  configure: | 1:*)
    echo "Set JVB_WATCHER_PROJECT and JVB_WATCHER_REGION in /etc/jvb-watcher.env, then run: systemctl enable --now jvb-watcher"
    ;;
  *)
    if [ -d /run/systemd/system ]; then
      # A worker that does not start must not break the installation: systemd goes on trying.
      systemctl try-restart jvb-watcher.service || true
    fi
    ;;
esac
