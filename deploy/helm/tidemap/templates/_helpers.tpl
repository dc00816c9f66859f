{{- define "tidemap.name" -}}
{{- if contains "tidemap" .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-tidemap" .Release.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "tidemap.image" -}}
{{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) | quote }}
{{- end }}

{{/* Labels of a part: (dict "root" $ "part" "api"). */}}
{{- define "tidemap.selector" -}}
app.kubernetes.io/name: tidemap
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{- define "tidemap.labels" -}}
{{ include "tidemap.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{- define "tidemap.pullSecrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "tidemap.podSecurity" -}}
automountServiceAccountToken: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- define "tidemap.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{- define "tidemap.broker.url" -}}
{{- if .Values.broker.enabled }}tls://{{ include "tidemap.name" . }}-broker.{{ .Release.Namespace }}.svc:4222{{ else }}{{ required "broker.url is needed without broker.enabled" .Values.broker.url }}{{ end }}
{{- end }}

{{- define "tidemap.broker.tls" -}}
{{ .Values.broker.tls.existingSecret | default (printf "%s-broker-tls" (include "tidemap.name" .)) }}
{{- end }}

{{/* The Secret with the authority that clients trust; empty for a public one. */}}
{{- define "tidemap.broker.ca" -}}
{{- if .Values.broker.enabled }}{{ include "tidemap.broker.tls" . }}{{ else }}{{ .Values.broker.caSecret }}{{ end }}
{{- end }}

{{/* How a station reaches the broker. */}}
{{- define "tidemap.broker.env" -}}
- name: TIDEMAP_NATS_URL
  value: {{ include "tidemap.broker.url" . | quote }}
{{- if include "tidemap.broker.ca" . }}
- name: TIDEMAP_NATS_CA
  value: /etc/tidemap/ca/ca.crt
{{- end }}
{{- end }}

{{- define "tidemap.station.env" -}}
{{ include "tidemap.broker.env" . }}
- name: TIDEMAP_CREDS
  value: /etc/tidemap/keys/service.creds
{{- end }}

{{- define "tidemap.station.mounts" -}}
- name: keys
  mountPath: /etc/tidemap/keys
  readOnly: true
{{- if include "tidemap.broker.ca" . }}
- name: ca
  mountPath: /etc/tidemap/ca
  readOnly: true
{{- end }}
{{- end }}

{{- define "tidemap.ca.volume" -}}
{{- with include "tidemap.broker.ca" . }}
- name: ca
  secret:
    secretName: {{ . }}
    items:
      - key: ca.crt
        path: ca.crt
{{- end }}
{{- end }}

{{- define "tidemap.station.volumes" -}}
- name: keys
  secret:
    secretName: {{ .Values.operator.existingSecret }}
    defaultMode: 0440
    items:
      - key: service.creds
        path: service.creds
{{ include "tidemap.ca.volume" . }}
{{- end }}

{{- define "tidemap.claim" -}}
accessModes: [ReadWriteOnce]
{{- with .storageClass }}
storageClassName: {{ . }}
{{- end }}
resources:
  requests:
    storage: {{ .storage }}
{{- end }}
