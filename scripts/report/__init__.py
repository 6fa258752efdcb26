"""`make report` and `make view`: the dashboards as a page of HTML, without Grafana.

Read from grafana/dashboards/*.json and asked of Prometheus, Loki and Tempo just as Grafana would.
"""
