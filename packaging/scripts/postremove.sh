#!/bin/sh
# After a removal, an upgrade or a purge. dpkg deletes the configuration file itself when it purges. There is no user to
# delete: systemd makes the service's user while the service runs.
set -e
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
fi
