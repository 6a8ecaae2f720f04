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
{{- if .Values.fullnameOverride -}}{{ .Values.fullnameOverride }}
{{- else if .Values.nameOverride -}}{{ printf "%s-%s" .Release.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- else if eq .Release.Name "storefront" -}}storefront-operator{{- else -}}{{ printf "%s-storefront-operator" .Release.Name | trunc 63 | trimSuffix "-" }}{{- end -}}
{{- end -}}
{{- define "storefront.tag" -}}{{ default .Chart.AppVersion .Values.image.tag }}{{- end -}}
{{- define "storefront.registry" -}}{{ .Values.image.registry | trimSuffix "/" }}{{- end -}}
{{- define "storefront.image" -}}
{{- $digest := dig "operator" "" (.Values.image.digests | default dict) -}}
{{- if $digest -}}{{ include "storefront.registry" . }}/operator@{{ $digest }}
{{- else -}}{{ include "storefront.registry" . }}/operator:{{ include "storefront.tag" . }}{{- end -}}
{{- end -}}
{{- define "storefront.digests" -}}
{{- $pairs := list -}}
{{- range $name, $digest := .Values.image.digests -}}
{{- if ne $name "operator" }}{{ $pairs = append $pairs (printf "%s=%s" $name $digest) }}{{ end -}}
{{- end -}}
{{- join "," $pairs -}}
{{- end -}}
