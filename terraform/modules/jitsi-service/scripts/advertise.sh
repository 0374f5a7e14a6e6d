#!/bin/sh
# Runs a command with the load balancer's addresses in JVB_ADVERTISE_IPS: advertise DOMAIN SECONDS COMMAND…
#
# The addresses are those to which DOMAIN resolves; for at most SECONDS the script waits for the first. A value that
# JVB_ADVERTISE_IPS has already is kept.
#
# The zone's own name servers are asked, because the VPC's resolver caches. It would return a deleted load balancer's
# addresses for up to a minute, and would repeat for up to 15 minutes that the name has none (Route 53's default for
# negative answers). The resolver is asked only if no name server answers with authority three times in a row, e.g. for a
# private zone.
set -eu
domain=$1 seconds=$2
shift 2

# PID 1 ignores a signal that it doesn't handle, and ECS would wait for the stop timeout.
trap 'exit 143' TERM

say() {
  echo "advertise: $*"
}

query() {
  dig +time=2 +tries=1 "$@"
}

only_addresses() {
  grep -E '^[0-9]+(\.[0-9]+){3}$' || true
}

# Prints the addresses of two name servers of the zone that contains the name.
name_servers() {
  zone=$1
  while [ "$zone" != "${zone#*.}" ]; do
    names=$(query +noall +answer "$zone" NS | awk -v zone="$zone." '$4 == "NS" && $1 == zone { print $5 }')
    if [ -n "$names" ]; then
      for server_name in $(echo "$names" | head -n 2); do
        query +short "$server_name" A | only_addresses | head -n 1
      done
      return
    fi
    zone=${zone#*.}
  done
}

# Prints the name's records of type A and CNAME as a name server of its zone has them; fails if none answers so.
authoritative_answer() {
  for server in $(name_servers "$1"); do
    if answer=$(query +noall +comments +answer +norecurse "@$server" "$1" A); then
      case $answer in
        *'flags: qr aa'*)
          echo "$answer"
          return
          ;;
      esac
    fi
  done
  return 1
}

# Prints the domain's addresses, one a line; fails if no name server answers with authority.
addresses() {
  name=$domain
  # Bounds a loop of aliases.
  for _ in 1 2 3 4 5 6 7 8; do
    if ! records=$(authoritative_answer "$name"); then
      return 1
    fi
    found=$(echo "$records" | awk '$4 == "A" { print $5 }')
    if [ -n "$found" ]; then
      echo "$found"
      return
    fi
    name=$(echo "$records" | awk '$4 == "CNAME" { print $5 }' | tail -n 1)
    name=${name%.}
    if [ -z "$name" ]; then
      return
    fi
  done
}

if [ -n "${JVB_ADVERTISE_IPS:-}" ]; then
  say "$JVB_ADVERTISE_IPS is set; not resolving $domain"
  exec "$@"
fi

say "resolving $domain, for at most $seconds s"
deadline=$(($(date +%s) + seconds))
unanswered=0
while true; do
  if found=$(addresses); then
    unanswered=0
  else
    unanswered=$((unanswered + 1))
    if [ "$unanswered" -ge 3 ]; then
      found=$(query +short "$domain" A | only_addresses)
    fi
  fi
  JVB_ADVERTISE_IPS=$(echo "$found" | sort -u | paste -s -d , -)
  if [ -n "$JVB_ADVERTISE_IPS" ]; then
    break
  fi
  if [ "$(date +%s)" -ge "$deadline" ]; then
    say "$domain has had no IPv4 address for $seconds s: create the load balancer and its DNS record, or set advertise_ips" >&2
    exit 1
  fi
  sleep 2
done
export JVB_ADVERTISE_IPS
case $JVB_ADVERTISE_IPS in
  *,*) say "$domain has several addresses, all of which are advertised; one subnet gives the load balancer one address" ;;
esac
say "advertising $JVB_ADVERTISE_IPS"
exec "$@"
