{{- define "drls.name" -}}
{{- if eq .Release.Name .Chart.Name }}{{ .Release.Name }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 48 | trimSuffix "-" }}{{ end }}
{{- end }}

{{/* Labels that select: they never change between releases. */}}
{{- define "drls.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "drls.labels" -}}
{{ include "drls.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "drls.image" -}}
{{ .Values.image.repository }}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{/* What Pod Security `restricted` asks of a pod, and a group that may write on volumes. */}}
{{- define "drls.podSecurity" -}}
runAsNonRoot: true
runAsUser: 1000
runAsGroup: 1000
fsGroup: 1000
# Once is enough: otherwise each start would open the home's files to the group.
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "drls.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "drls.scheduling" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "drls.secretVariable" -}}
- name: {{ .variable }}
  valueFrom: {secretKeyRef: {name: {{ .from.name }}, key: {{ .from.key }}}}
{{- end }}

{{/* The two databases. */}}
{{- define "drls.databases" -}}
{{ include "drls.secretVariable" (dict "variable" "DRLS_LIFECYCLE__URL" "from" .Values.secrets.database) }}
{{ include "drls.secretVariable" (dict "variable" "DRLS_DAGSTER_URL" "from" .Values.secrets.dagsterDatabase) }}
{{- end }}

{{/* The catalog and its buckets. */}}
{{- define "drls.catalog" -}}
{{- range .Values.secrets.environment }}
{{ include "drls.secretVariable" (dict "variable" .variable "from" .) }}
{{- end }}
{{- end }}

{{- define "drls.mounts" -}}
- {name: settings, mountPath: /etc/drls/settings, readOnly: true}
- {name: keys, mountPath: /etc/drls/keys, readOnly: true}
- {name: home, mountPath: /var/lib/drls}
- {name: temporary, mountPath: /tmp}
{{- end }}

{{- define "drls.volumes" -}}
- name: settings
  configMap: {name: {{ include "drls.name" . }}-settings, defaultMode: 0440}
- name: keys
  secret:
    secretName: {{ .Values.secrets.signingKey.name }}
    defaultMode: 0440
    items: [{key: {{ .Values.secrets.signingKey.key }}, path: signing-key.pem}]
{{- end }}

{{/* New settings start new pods. */}}
{{- define "drls.checksum" -}}
checksum/settings: {{ include (print .Template.BasePath "/settings.yaml") . | sha256sum }}
{{- end }}

{{/* Pods of a new release wait for its migration. */}}
{{- define "drls.wait" -}}
- name: wait
  image: {{ include "drls.image" . }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  args: [wait]
  securityContext: {{- include "drls.containerSecurity" . | nindent 4 }}
  env: {{- include "drls.databases" . | nindent 4 }}
  resources: {{- toYaml .Values.migrate.resources | nindent 4 }}
  volumeMounts: {{- include "drls.mounts" . | nindent 4 }}
{{- end }}
