#!/bin/sh
# What the service `secrets` of docker-compose.staging.yml does: it gives every service the secrets that this one needs, and
# no other, on a volume in memory that this one alone mounts (read-only, at /run/secrets), readable by its user alone.
# The files in secrets/staging belong to whoever made them, mode 0600: no other service could read them there.
# After a restart of the machine services may start before this one: each ends at once where what is given last is missing,
# and is started again until it is there.
set -eu

put() { # SERVICE USER NAME: what comes on standard input
  rm -f "/places/$1/$3"
  cat >"/places/$1/$3"
  chmod 0400 "/places/$1/$3"
  chown "$2" "/places/$1/$3"
}

give() { # SERVICE USER NAME...
  service=$1 user=$2
  shift 2
  for name; do
    if [ ! -s "/from/staging/$name" ]; then
      echo "secrets/staging/$name is not there: \`make secrets\` makes it" >&2
      exit 1
    fi
    put "$service" "$user" "$name" <"/from/staging/$name"
  done
}

render() { # SERVICE USER FILE WAYS: a configuration in which the lines marked with one of the ways hold
  password=$(cat /from/staging/alertmanager_password_of_loki)
  sed -E "s/# \[($4)\] //; s/@alertmanager_password_of_loki@/$password/; s|templates/\*|/etc/alertmanager/&|" "/config/$3" |
    put "$1" "$2" "$(basename "$3")"
}

user_of_backend=10001:10001
for name in azure_openai_key openai_api_key; do # yours to give, or not
  [ ! -s "/from/staging/$name" ] || give backend $user_of_backend "$name"
done
give backend $user_of_backend mongodb_url qdrant_api_key user_hash_key internal_token
give alert-inbox $user_of_backend user_hash_key internal_token
give mongodb 999:999 mongodb_root_password mongodb_backend_password mongodb_exporter_password
give mongodb-exporter 65535:65535 mongodb_exporter_url
give qdrant 1000:1000 qdrant_api_key qdrant_read_only_api_key

give prometheus 65534:65534 prometheus_web.yml prometheus_password_of_prometheus alertmanager_password_of_prometheus \
  internal_token qdrant_read_only_api_key grafana_metrics_password
render prometheus 65534:65534 prometheus/prometheus.yml staging
give loki 10001:10001 # its password stands in its configuration: it reads no other file
render loki 10001:10001 loki/loki.yml staging
give tempo 10001:10001 prometheus_password_of_tempo
render tempo 10001:10001 tempo/tempo.yml staging

# As scripts/receivers.py does for `make up`: a way to reach people is switched on by its file.
give alertmanager 65534:65534 alertmanager_web.yml alertmanager_password_of_alertmanager
ways=staging
for file in /from/alertmanager/*; do
  way=$(basename "$file")
  [ "$way" != README.md ] || continue
  put alertmanager 65534:65534 "$way" <"$file"
  ways="$ways|$way"
done
render alertmanager 65534:65534 monitoring/alertmanager/alertmanager.yml "$ways"

rm -rf /places/grafana/provisioning
cp -r /config/grafana/provisioning /places/grafana/provisioning
sed 's/# \[staging\] //' /config/grafana/provisioning/datasources/datasources.yml \
  >/places/grafana/provisioning/datasources/datasources.yml
cat /from/staging/oidc_client_secret 2>/dev/null | put grafana 472:0 oidc_client_secret # yours to give, or empty
give grafana 472:0 grafana_admin_password grafana_secret_key prometheus_password_of_grafana \
  alertmanager_password_of_grafana grafana_metrics_password

give backup 0:0 mongodb_url qdrant_api_key prometheus_password_of_prometheus

give gateway 10001:10001 users.caddy
if [ -s /from/certificate ]; then
  put gateway 10001:10001 certificate.pem </from/certificate
  put gateway 10001:10001 key.pem </from/key
  tls='/run/secrets/certificate.pem /run/secrets/key.pem'
else
  tls=${TLS_ACME_EMAIL:-internal}
fi
echo "tls $tls" | put gateway 10001:10001 tls.caddy
chown 10001:10001 /places/gateway-data # certificates that it makes or is given by an authority

touch /tmp/placed
exec sleep infinity
