{{- define "storefront.labels" -}}
app.kubernetes.io/name: storefront-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}
{{- define "storefront.selector" -}}
app.kubernetes.io/name: storefront-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}
{{- define "storefront.name" -}}
{{- if eq .Release.Name "storefront" -}}storefront-operator{{- else -}}{{ printf "%s-storefront-operator" .Release.Name | trunc 63 | trimSuffix "-" }}{{- end -}}
{{- end -}}
{{- define "storefront.tag" -}}{{ default .Chart.AppVersion .Values.image.tag }}{{- end -}}
