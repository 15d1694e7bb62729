{{/* One variable of a Secret's key. Takes (list root VARIABLE key). */}}
{{- define "ringmaster.env.secret" -}}
- name: RINGMASTER_{{ index . 1 }}
  valueFrom:
    secretKeyRef:
      name: {{ include "ringmaster.secret" (index . 0) }}
      key: {{ index . 2 }}
{{- end }}

{{- define "ringmaster.env.mongodb" -}}
{{- if .Values.mongodb.community.enabled }}
- name: RINGMASTER_MONGODB_URI
  valueFrom:
    secretKeyRef:
      name: {{ include "ringmaster.name" . }}-mongodb-ringmaster-ringmaster
      key: connectionString.standard
{{- else }}
{{ include "ringmaster.env.secret" (list . "MONGODB_URI" "mongodb-uri") }}
{{- end }}
{{- end }}

{{/* Where the brokers are, and who this component is to them. Takes (list root component). */}}
{{- define "ringmaster.env.kafka" -}}
{{- $root := index . 0 }}{{ $kafka := $root.Values.kafka }}
- name: RINGMASTER_KAFKA_BOOTSTRAP
  value: {{ include "ringmaster.bootstrap" $root | quote }}
{{- if include "ringmaster.kafka.ca" $root }}
- name: RINGMASTER_KAFKA_CA_FILE
  value: /etc/kafka/ca.crt
{{- end }}
{{- if $kafka.strimzi.users }}
- name: RINGMASTER_KAFKA_USER
  value: {{ include "ringmaster.name" $root }}-{{ index . 1 }}
- name: RINGMASTER_KAFKA_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ include "ringmaster.name" $root }}-{{ index . 1 }}
      key: password
{{- else if $kafka.user }}
- name: RINGMASTER_KAFKA_USER
  value: {{ $kafka.user | quote }}
{{ include "ringmaster.env.secret" (list $root "KAFKA_PASSWORD" "kafka-password") }}
{{- end }}
{{- end }}

{{/* The Secret of the authority that the brokers' certificates are from; empty: in the clear. */}}
{{- define "ringmaster.kafka.ca" -}}
{{- if .Values.kafka.caSecret }}{{ .Values.kafka.caSecret }}{{ else if .Values.kafka.strimzi.users }}{{ .Values.kafka.strimzi.cluster }}-cluster-ca-cert{{ else if .Values.kafka.user }}{{ fail "kafka.caSecret is empty: kafka.user is set, and a password is not sent in the clear" }}{{ end }}
{{- end }}

{{- define "ringmaster.kafka.mount" -}}
{{- if include "ringmaster.kafka.ca" . }}
- {name: kafka, mountPath: /etc/kafka, readOnly: true}
{{- end }}
{{- end }}

{{- define "ringmaster.kafka.volume" -}}
{{- with include "ringmaster.kafka.ca" . }}
- name: kafka
  secret:
    secretName: {{ . }}
    defaultMode: 0440
    items:
      - {key: ca.crt, path: ca.crt}
{{- end }}
{{- end }}

{{/* Where a service listens: on the pod's own address, which on the node's network is not every address of the node. */}}
{{- define "ringmaster.env.http" -}}
- name: RINGMASTER_HTTP_HOST
  valueFrom:
    fieldRef:
      fieldPath: status.podIP
- name: RINGMASTER_HTTP_PORT
  value: {{ . | quote }}
{{- end }}

{{- define "ringmaster.env.s3" -}}
- name: RINGMASTER_S3_ENDPOINT
  value: {{ required "s3.endpoint is empty: recordings have to be kept somewhere, for example https://s3.eu-central-1.amazonaws.com" .Values.s3.endpoint | quote }}
- name: RINGMASTER_S3_BUCKET
  value: {{ .Values.s3.bucket | quote }}
- name: RINGMASTER_S3_REGION
  value: {{ .Values.s3.region | quote }}
{{ include "ringmaster.env.secret" (list . "S3_ACCESS_KEY" "s3-access-key") }}
{{ include "ringmaster.env.secret" (list . "S3_SECRET_KEY" "s3-secret-key") }}
{{- end }}

{{/* The name of the pod, which a StatefulSet gives again after a restart. */}}
{{- define "ringmaster.env.pod" -}}
- name: RINGMASTER_{{ . }}
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
{{- end }}

{{/* Other clusters take no session under six seconds unless they are told to; the one of this release is told. */}}
{{- define "ringmaster.env.router" -}}
{{ include "ringmaster.env.pod" "ROUTER_NAME" }}
{{- if and .Values.kafka.strimzi.enabled (not (hasKey .Values.router.settings "router_session_seconds")) }}
- name: RINGMASTER_ROUTER_SESSION_SECONDS
  value: "2"
{{- end }}
{{- end }}

{{/* Fields of services/<name>/settings.py as values. */}}
{{- define "ringmaster.env.settings" -}}
{{- range $field, $value := . }}
- name: RINGMASTER_{{ upper $field }}
  {{- /* Every number of a values file is a float here, and a large one would be written with an exponent. */}}
  value: {{ if not (kindIs "float64" $value) }}{{ toString $value | quote }}{{ else if eq $value (floor $value) }}{{ int64 $value | toString | quote }}{{ else }}{{ toString $value | quote }}{{ end }}
{{- end }}
{{- end }}

{{/* What a secret holds as files, where the services read them: replaced there when the secret is. */}}
{{- define "ringmaster.env.files" -}}
{{- $variables := dict "tokens.json" "API_TOKENS" "webhooks.json" "WEBHOOK_SECRETS" "channels.json" "CHANNEL_SECRETS" "smtp-password" "SMTP_PASSWORD_FILE" }}
{{- range . }}
- name: RINGMASTER_{{ index $variables . }}
  value: /etc/ringmaster/{{ . }}
{{- end }}
{{- end }}
