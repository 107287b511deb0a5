{{/* The name of everything: the release's, which is the application's where the plane renders. */}}
{{- define "orbit.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "orbit.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "orbit.labels" -}}
helm.sh/chart: {{ include "orbit.labelValue" (printf "%s-%s" .Chart.Name .Chart.Version) | quote }}
{{ include "orbit.selectorLabels" . }}
app.kubernetes.io/version: {{ include "orbit.labelValue" .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
{{- end -}}

{{/* Text as the value of a label: at most 63 characters, the last of them a letter or digit. */}}
{{- define "orbit.labelValue" -}}
{{- regexReplaceAll "[-._]+$" (. | replace "+" "_" | trunc 63) "" -}}
{{- end -}}

{{- define "orbit.annotations" -}}
orbit.k8or.io/release: {{ index .Chart.Annotations "orbit.k8or.io/release" | quote }}
{{- end -}}

{{- define "orbit.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "orbit.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "orbit.image" -}}
{{- with .Values.image.registry }}{{ . }}/{{ end }}{{ .Values.image.repository }}@{{ .Values.image.digest -}}
{{- end -}}
