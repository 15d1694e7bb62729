"""The Grafana dashboards as code: a module each; `python -m deploy.dashboards` writes their JSON into the chart."""
