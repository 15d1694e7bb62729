{{- define "ringmaster.name" -}}
{{- if contains "ringmaster" .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-ringmaster" .Release.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{/* What selects a component's pods: never changed, a selector can't be. Takes (list root component). */}}
{{- define "ringmaster.selector" -}}
app.kubernetes.io/name: ringmaster
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* Labels of pods: none that another version changes, for a pod whose template changes is replaced. Takes the same. */}}
{{- define "ringmaster.podLabels" -}}
{{ include "ringmaster.selector" . }}
app.kubernetes.io/part-of: ringmaster
{{- end }}

{{- define "ringmaster.labels" -}}
{{ include "ringmaster.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/part-of: ringmaster
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version }}
{{- end }}

{{/* Name, namespace and labels of a resource. Takes (list root component suffix). */}}
{{- define "ringmaster.metadata" -}}
name: {{ include "ringmaster.name" (index . 0) }}-{{ index . 2 }}
namespace: {{ (index . 0).Release.Namespace }}
labels:
  {{- include "ringmaster.labels" (list (index . 0) (index . 1)) | nindent 2 }}
{{- end }}

{{/* Peers of a policy: this release's own pods, and on the node's network the switch's by the node's address. */}}
{{- define "ringmaster.reaching" -}}
- podSelector:
    matchLabels:
      app.kubernetes.io/name: ringmaster
      app.kubernetes.io/instance: {{ .Release.Name }}
{{- if .Values.freeswitch.hostNetwork }}
{{- range .Values.networkPolicy.nodes.cidrs }}
- ipBlock: {cidr: {{ . | quote }}}
{{- end }}
{{- end }}
{{- end }}

{{/* Takes (list root service). */}}
{{- define "ringmaster.image" -}}
{{- $image := (index . 0).Values.image }}{{ $service := index . 1 }}
{{- $path := printf "%s/%s" $image.repository $service }}
{{- if $image.registry }}{{ $path = printf "%s/%s" $image.registry $path }}{{ end }}
{{- with get $image.digests $service }}{{ printf "%s@%s" $path . }}{{ else }}{{ printf "%s:%s" $path (default (index $ 0).Chart.AppVersion $image.tag) }}{{ end }}
{{- end }}

{{- define "ringmaster.bootstrap" -}}
{{- if .Values.kafka.strimzi.enabled }}{{ printf "%s-kafka-bootstrap:%s" .Values.kafka.strimzi.cluster (ternary "9093" "9092" .Values.kafka.strimzi.users) }}
{{- else }}{{ required "kafka.bootstrap is empty: name your cluster, or let this release make one with kafka.strimzi.enabled" .Values.kafka.bootstrap }}{{ end }}
{{- end }}

{{- define "ringmaster.secret" -}}
{{- if eq .Values.secrets.from "existing" }}{{ .Values.secrets.name }}{{ else }}{{ include "ringmaster.name" . }}-secrets{{ end }}
{{- end }}

{{- define "ringmaster.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}
