#!/bin/sh
# PORT PATH: a health check by TLS, for images that have openssl (as each does that has the internet's authorities) and no
# client. Succeeds when the part answers 200 on loopback, with a certificate of the stack's own authority.
printf 'GET %s HTTP/1.0\r\n\r\n' "$2" |
  openssl s_client -quiet -connect "127.0.0.1:$1" -CAfile /run/secrets/authority.pem -verify_ip 127.0.0.1 \
    -verify_return_error 2>/dev/null |
  grep -q '^HTTP/1.[01] 200 '
