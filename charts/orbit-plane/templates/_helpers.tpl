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

{{- /* Not empty when people sign in to the portal with an identity provider. */ -}}
{{- define "orbit-plane.oidc" -}}
{{- with .Values.portal -}}
{{- if and .enabled .oidc.issuer -}}
true
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* The Secrets of the certificates that clients are shown. */ -}}
{{- define "orbit-plane.tlsSecrets" -}}
{{- $names := list -}}
{{- with .Values.tls.secretName -}}{{- $names = append $names . -}}{{- end -}}
{{- with .Values.portal -}}
{{- if and .enabled .tls.secretName -}}{{- $names = append $names .tls.secretName -}}{{- end -}}
{{- end -}}
{{- $names | uniq | join ", " -}}
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

{{- /* All that the reconcilers do to the plane's kinds. */ -}}
{{- define "orbit-plane.rules" -}}
# Look at all, hold their end back until it is in the journal.
- apiGroups: [orbit.k8or.io]
  resources: [imageuploads, helmcharts, environmentoverlays]
  verbs: [get, list, watch, patch]
- apiGroups: [orbit.k8or.io]
  resources: [imageuploads/status, helmcharts/status, environmentoverlays/status]
  verbs: [patch]
# The chart of a release and the default overlays.
- apiGroups: [orbit.k8or.io]
  resources: [helmcharts, environmentoverlays]
  verbs: [create]
# Charts beyond the history limit.
- apiGroups: [orbit.k8or.io]
  resources: [helmcharts]
  verbs: [delete]
# Clusters, and what is delivered to them.
- apiGroups: [orbit.k8or.io]
  resources: [ephemeralclusters, deliveries]
  verbs: [get, list, watch, patch]
- apiGroups: [orbit.k8or.io]
  resources: [ephemeralclusters/status, deliveries/status]
  verbs: [patch]
- apiGroups: [orbit.k8or.io]
  resources: [deliveries]
  verbs: [create, delete]
{{- if .Values.rbac.clusters }}
{{- if not .Values.namespace }}
# Clusters that are imported, in namespaces that ask for it.
- apiGroups: [orbit.k8or.io]
  resources: [ephemeralclusters]
  verbs: [create, delete]
{{- end }}
# When each cluster answered last.
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get, create, patch]
# Kubeconfigs, Secrets that are copied along, and each cluster's credential for the registry.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, patch]
{{- end }}
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- if eq .Values.rbac.pullSecrets.scope "Cluster" }}
{{ include "orbit-plane.pullSecretsRule" . }}
{{- end }}
{{- end -}}

{{- /* Whoever is something to the plane sees all of it. */ -}}
{{- define "orbit-plane.look" }}
- apiGroups: [orbit.k8or.io]
  resources: [imageuploads, helmcharts, environmentoverlays, ephemeralclusters, deliveries]
  verbs: [get, list, watch]
- apiGroups: [orbit.k8or.io]
  resources: [imageuploads/content, helmcharts/content, environmentoverlays/content]
  verbs: [get]
{{- end }}
