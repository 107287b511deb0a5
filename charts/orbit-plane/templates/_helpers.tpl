{{- define "orbit-plane.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 53 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "orbit-plane.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "orbit-plane.labels" -}}
{{ include "orbit-plane.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "orbit-plane.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "orbit-plane.name" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "orbit-plane.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Not empty when a store is embedded, hence needs the data directory. */ -}}
{{- define "orbit-plane.embedded" -}}
{{- with .Values.stores -}}
{{- if not (and .s3.bucket .dynamodb.table .mysql.urlSecret.name) -}}
true
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* The rule on pull secrets; its names bound what it lets read. */ -}}
{{- define "orbit-plane.pullSecretsRule" -}}
- apiGroups: [""]
  resources: [secrets]
  {{- with .Values.rbac.pullSecrets.names }}
  resourceNames: {{ toJson . }}
  {{- end }}
  verbs: [get]
{{- end -}}
