{{/* Pods by what a group has not read yet. Takes a dict: root, name, lags (group → topic). */}}
{{- define "ringmaster.keda" -}}
{{- $root := .root }}{{ $keda := (index $root.Values .name).keda }}
{{- if $keda.enabled }}
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  {{- include "ringmaster.metadata" (list $root .name .name) | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: StatefulSet
    name: {{ include "ringmaster.name" $root }}-{{ .name }}
  minReplicaCount: {{ $keda.min }}
  maxReplicaCount: {{ $keda.max }}
  cooldownPeriod: 600
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        # Each change of the group's members costs some tenants a moment: up in steps, down slowly.
        scaleUp: {policies: [{type: Pods, value: 2, periodSeconds: 60}]}
        scaleDown: {stabilizationWindowSeconds: 900, policies: [{type: Pods, value: 1, periodSeconds: 300}]}
  triggers:
    {{- range $group, $topic := .lags }}
    - type: kafka
      metadata:
        bootstrapServers: {{ include "ringmaster.bootstrap" $root | quote }}
        consumerGroup: {{ $group }}
        topic: {{ $topic }}
        lagThreshold: {{ $keda.lag | quote }}
        allowIdleConsumers: "false"
        {{- if include "ringmaster.kafka.ca" $root }}
        tls: enable
        {{- end }}
        {{- if or $root.Values.kafka.user $root.Values.kafka.strimzi.users }}
        sasl: scram_sha512
        {{- end }}
      {{- with $keda.authentication }}
      authenticationRef: {name: {{ . }}}
      {{- end }}
    {{- end }}
{{- end }}
{{- end }}
