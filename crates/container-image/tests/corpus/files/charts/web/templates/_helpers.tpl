{{- define "web.image" -}}
{{- printf "%s/%s:%s" .Values.image.registry .Values.image.repository .Values.image.tag -}}
{{- end -}}
{{- define "web.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}
{{- define "web.proxy" -}}
{{- if .Values.proxy.image }}{{ .Values.proxy.image }}{{ else }}
quay.io/acme/proxy:1.5
{{ end -}}
{{- end -}}
