#!/bin/sh
# What the service `secrets` of docker-compose.staging.yml does: it gives every service the secrets that this one needs, and
# no other, on a volume in memory that this one alone mounts (read-only, at /run/secrets), readable by its user alone.
# The files in secrets/staging belong to whoever made them, mode 0600: no other service could read them there.
# After a restart of the machine services may start before this one: each ends at once where what is given last is missing,
# and is started again until it is there.
# With TLS_BETWEEN_PARTS=1 (docker-compose.tls.yml) each is given its certificate, too, and what tells it the others'.
set -eu

tls=${TLS_BETWEEN_PARTS:-}
marks=staging${tls:+|tls}

put() { # SERVICE USER NAME: what comes on standard input
  rm -f "/places/$1/$3"
  cat >"/places/$1/$3"
  chmod 0400 "/places/$1/$3"
  chown "$2" "/places/$1/$3"
}

need() { # NAME: ends where `make secrets` has not made it
  [ -s "/from/staging/$1" ] && return
  echo "secrets/staging/$1 is not there: \`make secrets\` makes it" >&2
  exit 1
}

give() { # SERVICE USER NAME...
  service=$1 user=$2
  shift 2
  for name; do
    need "$name"
    put "$service" "$user" "$name" <"/from/staging/$name"
  done
}

render() { # SERVICE USER FILE WAYS: a configuration in which the lines marked with one of the ways hold
  password=$(cat /from/staging/alertmanager_password_of_loki)
  sed -E "s/(#|\/\/) \[($4)\] //; s/@alertmanager_password_of_loki@/$password/; s|templates/\*|/etc/alertmanager/&|" \
    "/config/$3" | by_tls | put "$1" "$2" "$(basename "$3")"
}

by_tls() { # what comes on standard input, with the addresses of parts as they are with TLS
  if [ "$tls" ]; then
    sed -E 's#http://(alert-inbox|alertmanager|prometheus|loki|tempo):#https://\1:#; s#scheme: http( |$)#scheme: https\1#
      s#grpc_listen_address: 0.0.0.0#grpc_listen_address: 127.0.0.1#'
  else
    cat
  fi
}

certify() { # SERVICE USER: its certificate with its key, and the authority that all others are known by
  [ "$tls" ] || return 0
  need "tls_$1.pem"
  need tls_authority.pem
  put "$1" "$2" tls.pem <"/from/staging/tls_$1.pem"
  put "$1" "$2" authority.pem <"/from/staging/tls_authority.pem"
}

served() { # what Prometheus' own programs and exporters take to speak TLS
  [ -z "$tls" ] || echo "tls_server_config: {cert_file: /run/secrets/tls.pem, key_file: /run/secrets/tls.pem}"
}

web() { # SERVICE USER: who may ask it, and how
  need "$1_web.yml"
  { cat "/from/staging/$1_web.yml" && served; } | put "$1" "$2" "$1_web.yml"
  {
    echo "basic_auth: {username: $1, password_file: /run/secrets/$1_password_of_$1}"
    [ -z "$tls" ] || echo "tls_config: {ca_file: /run/secrets/authority.pem}"
  } | put "$1" "$2" check.yml # for its health check
}

mongodb_url() { # SERVICE USER NAME: the address with a password in it
  need "$3"
  sed "s|\$|${tls:+\&tls=true\&tlsCAFile=/run/secrets/authority.pem}|" "/from/staging/$3" | put "$1" "$2" "$3"
}

user_of_backend=10001:10001
certify backend $user_of_backend
for name in azure_openai_key openai_api_key; do # yours to give, or not
  [ ! -s "/from/staging/$name" ] || give backend $user_of_backend "$name"
done
mongodb_url backend $user_of_backend mongodb_url
give backend $user_of_backend qdrant_api_key user_hash_key internal_token
certify alert-inbox $user_of_backend
give alert-inbox $user_of_backend user_hash_key internal_token
certify mongodb 999:999
give mongodb 999:999 mongodb_root_password mongodb_backend_password mongodb_exporter_password
certify mongodb-exporter 65535:65535
mongodb_url mongodb-exporter 65535:65535 mongodb_exporter_url
certify qdrant 1000:1000
give qdrant 1000:1000 qdrant_api_key qdrant_read_only_api_key

certify prometheus 65534:65534
web prometheus 65534:65534
give prometheus 65534:65534 prometheus_password_of_prometheus alertmanager_password_of_prometheus \
  internal_token qdrant_read_only_api_key grafana_metrics_password
render prometheus 65534:65534 prometheus/prometheus.yml "$marks"
certify loki 10001:10001
render loki 10001:10001 loki/loki.yml "$marks" # with its password
certify tempo 10001:10001
give tempo 10001:10001 prometheus_password_of_tempo
render tempo 10001:10001 tempo/tempo.yml "$marks"

# As scripts/receivers.py does for `make up`: a way to reach people is switched on by its file.
certify alertmanager 65534:65534
web alertmanager 65534:65534
give alertmanager 65534:65534 alertmanager_password_of_alertmanager
ways=$marks
for file in /from/alertmanager/*; do
  way=$(basename "$file")
  [ "$way" != README.md ] || continue
  put alertmanager 65534:65534 "$way" <"$file"
  ways="$ways|$way"
done
render alertmanager 65534:65534 monitoring/alertmanager/alertmanager.yml "$ways"

certify grafana 472:0
rm -rf /places/grafana/provisioning
cp -r /config/grafana/provisioning /places/grafana/provisioning
sed -E "s/# \[($marks)\] //" /config/grafana/provisioning/datasources/datasources.yml | by_tls \
  >/places/grafana/provisioning/datasources/datasources.yml
cat /from/staging/oidc_client_secret 2>/dev/null | put grafana 472:0 oidc_client_secret # yours to give, or empty
give grafana 472:0 grafana_admin_password grafana_secret_key prometheus_password_of_grafana \
  alertmanager_password_of_grafana grafana_metrics_password

if [ "$tls" ]; then # these have no secret but it
  certify promtail 10001:10001
  render promtail 10001:10001 promtail/promtail.yml tls
  certify node-exporter 65534:65534
  served | put node-exporter 65534:65534 web.yml
  served | put mongodb-exporter 65535:65535 web.yml
  certify cadvisor 0:0
  render cadvisor 0:0 alloy/containers.alloy tls
fi

certify backup 0:0
mongodb_url backup 0:0 mongodb_url
give backup 0:0 qdrant_api_key prometheus_password_of_prometheus

give gateway 10001:10001 users.caddy
if [ "$tls" ]; then
  put gateway 10001:10001 authority.pem </from/staging/tls_authority.pem
  printf '(part) {\n\theader_up Host {hostport}\n\ttransport http {\n\t\ttls_trust_pool file /run/secrets/authority.pem\n\t\ttls_server_name {args[0]}\n\t}\n}\n'
else
  printf '(part) {\n}\n'
fi | put gateway 10001:10001 parts.caddy # how a part is reached
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
