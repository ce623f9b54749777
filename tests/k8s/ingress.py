"""What an ingress controller does, with nginx: it serves what the Ingress of the release says, with TLS."""

from __future__ import annotations

from tests.k8s.cluster import NAMESPACE, NODE_ADDRESS, Cluster

URL = f"https://{NODE_ADDRESS}:30443"
_SERVER = """
worker_processes 1;
pid /tmp/nginx.pid;
daemon off;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path /tmp/body; proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi; uwsgi_temp_path /tmp/uwsgi; scgi_temp_path /tmp/scgi;
  map $http_upgrade $upgrading { default upgrade; '' close; }
  server {
    listen 8443 ssl;
    server_name %(host)s;
    ssl_certificate /etc/tls/tls.crt;
    ssl_certificate_key /etc/tls/tls.key;
    client_max_body_size 32m;
    proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto https;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $upgrading;
    proxy_read_timeout 120s;
%(locations)s
  }
}
"""


def serve(cluster: Cluster) -> None:
    """Starts nginx, or starts it again with what the Ingress says now."""
    (rule,) = cluster.get("ingress", "drls")["spec"]["rules"]
    locations = []
    for one in rule["http"]["paths"]:
        service = one["backend"]["service"]["name"]
        to = f"proxy_pass http://{service}.{NAMESPACE}.svc.cluster.local;"
        path = one["path"].rstrip("/")
        assert one["pathType"] == "Prefix"
        if path:
            locations.append(f"    location = {path} {{ {to} }}")
        locations.append(f"    location {path}/ {{ {to} }}")
    config = _SERVER % {"host": rule["host"], "locations": "\n".join(locations)}
    cluster.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "nginx"}, "data": {"nginx.conf": config}},
        namespace="ingress-nginx",
    )
    cluster.kubectl("--namespace", "ingress-nginx", "rollout", "restart", "deployment/nginx")
    cluster.kubectl("--namespace", "ingress-nginx", "rollout", "status", "deployment/nginx", "--timeout=120s")
