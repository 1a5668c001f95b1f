local k = import 'github.com/acme/k8s/main.libsonnet';
{
  _config+:: {
    images: {
      app: 'quay.io/acme/app:v' + $._config.version,
      other: "quay.io/acme/other:1.2-" + $._config.suffix,
      agent: 'quay.io/acme/agent:v1.9.0',
    },
    url: 'https://%s/a:1' % $._config.host,
  },
  container: { name: 'grafana', image: 'grafana/grafana:11.2.0', ports: ['3000:3000'] },
}
