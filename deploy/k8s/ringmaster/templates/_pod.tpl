{{- define "ringmaster.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "ringmaster.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
privileged: false
capabilities: {drop: [ALL]}
{{- end }}

{{/* What a namespace that enforces `restricted` asks of containers whose images and users are not ours. */}}
{{- define "ringmaster.othersSecurity" -}}
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
runAsNonRoot: true
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* Alive is who answers; ready is who says so. Takes the port's name. */}}
{{- define "ringmaster.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: {{ . }}}
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /healthz, port: {{ . }}}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: {{ . }}}
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
{{- end }}

{{/*
Takes (list root component), and a third where an upgrade begins the new pod before it ends the old one: new ones are
counted among themselves, else they may all come to lie on the node that the old ones leave first.
*/}}
{{- define "ringmaster.spread" -}}
{{- if (index . 0).Values.spread }}
topologySpreadConstraints:
  {{- range $key, $when := dict "topology.kubernetes.io/zone" "ScheduleAnyway" "kubernetes.io/hostname" "ScheduleAnyway" }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: {{ $when }}
    labelSelector:
      matchLabels:
        {{- include "ringmaster.selector" $ | nindent 8 }}
    {{- if gt (len $) 2 }}
    matchLabelKeys: [pod-template-hash]
    {{- end }}
  {{- end }}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "ringmaster.selector" . | nindent 14 }}
{{- end }}
{{- end }}

{{/* The files of the secret, only those that this pod reads. Takes (list root files). */}}
{{- define "ringmaster.filesVolume" -}}
- name: files
  secret:
    secretName: {{ include "ringmaster.secret" (index . 0) }}
    defaultMode: 0440
    {{- if gt (len .) 2 }}
    optional: true
    {{- end }}
    items:
      {{- range index . 1 }}
      - {key: {{ . }}, path: {{ . }}}
      {{- end }}
{{- end }}

{{/*
On a node that is lost a pod of a Deployment is replaced elsewhere after so long; one of a StatefulSet never, until a
person says that the node is gone (runbooks/node.md): nobody else can know that its name is free.
*/}}
{{- define "ringmaster.elsewhere" -}}
tolerations:
  {{- range list "not-ready" "unreachable" }}
  - {key: node.kubernetes.io/{{ . }}, operator: Exists, effect: NoExecute, tolerationSeconds: {{ $.Values.lostNodeSeconds }}}
  {{- end }}
{{- end }}

{{/*
One service of one container. Takes a dict: root, name, kind, replicas (nil: somebody else counts), port, files (of the
secret), env (YAML of what only this one needs), scratch (a folder that it may fill and lose), isOne (two at a time would
be wrong).
*/}}
{{- define "ringmaster.service" -}}
{{- $root := .root }}{{ $name := .name }}{{ $own := index $root.Values $name }}
apiVersion: apps/v1
kind: {{ .kind }}
metadata:
  {{- include "ringmaster.metadata" (list $root $name $name) | nindent 2 }}
  {{- if .isOne }}
  annotations:
    kube-score/ignore: deployment-replicas,deployment-strategy # there may be one only, at any moment
  {{- end }}
spec:
  {{- if not (kindIs "invalid" .replicas) }}
  replicas: {{ .replicas }}
  {{- end }}
  {{- if eq .kind "StatefulSet" }}
  serviceName: {{ include "ringmaster.name" $root }}-{{ $name }}
  podManagementPolicy: Parallel
  {{- else if .isOne }}
  strategy: {type: Recreate}
  {{- else }}
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
  {{- end }}
  revisionHistoryLimit: 5
  selector:
    matchLabels:
      {{- include "ringmaster.selector" (list $root $name) | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "ringmaster.podLabels" (list $root $name) | nindent 8 }}
      {{- with $root.Values.podAnnotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      serviceAccountName: {{ include "ringmaster.name" $root }}-{{ $name }}
      automountServiceAccountToken: false
      enableServiceLinks: false
      {{- include "ringmaster.pullSecrets" $root | nindent 6 }}
      securityContext:
        {{- include "ringmaster.podSecurity" $root | nindent 8 }}
      # Five seconds until nobody sends requests here any more, ten to end what is begun (services/shared/chassis).
      terminationGracePeriodSeconds: 30
      {{- include "ringmaster.spread" (ternary (list $root $name) (list $root $name "surges") (eq .kind "StatefulSet")) | nindent 6 }}
      {{- if eq .kind "Deployment" }}
      {{- include "ringmaster.elsewhere" $root | nindent 6 }}
      {{- end }}
      containers:
        - name: {{ $name }}
          image: {{ include "ringmaster.image" (list $root $name) }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          terminationMessagePolicy: FallbackToLogsOnError
          securityContext:
            {{- include "ringmaster.containerSecurity" $root | nindent 12 }}
          ports:
            - {name: http, containerPort: {{ .port }}, protocol: TCP}
          env:
            {{- include "ringmaster.env.kafka" (list $root $name) | trim | nindent 12 }}
            {{- include "ringmaster.env.mongodb" $root | trim | nindent 12 }}
            {{- include "ringmaster.env.http" .port | nindent 12 }}
            {{- include "ringmaster.env.files" .files | trim | nindent 12 }}
            {{- with .env }}{{ . | trim | nindent 12 }}{{ end }}
            {{- include "ringmaster.env.settings" $own.settings | trim | nindent 12 }}
          {{- include "ringmaster.probes" "http" | nindent 10 }}
          lifecycle:
            preStop:
              sleep: {seconds: 5}
          resources:
            {{- toYaml $own.resources | nindent 12 }}
          volumeMounts:
            - {name: tmp, mountPath: /tmp}
            {{- include "ringmaster.kafka.mount" $root | trim | nindent 12 }}
            {{- if .files }}
            - {name: files, mountPath: /etc/ringmaster, readOnly: true}
            {{- end }}
            {{- with .scratch }}
            - {name: scratch, mountPath: {{ . }}}
            {{- end }}
      volumes:
        {{- if .scratch }}
        - name: scratch
          emptyDir: {sizeLimit: 4Gi}
        {{- end }}
        - name: tmp
          emptyDir: {sizeLimit: 64Mi}
        {{- include "ringmaster.kafka.volume" $root | trim | nindent 8 }}
        {{- if .files }}
        {{- include "ringmaster.filesVolume" (list $root .files) | nindent 8 }}
        {{- end }}
---
apiVersion: v1
kind: Service
metadata:
  {{- include "ringmaster.metadata" (list $root $name $name) | nindent 2 }}
    ringmaster.io/metrics: "true"
spec:
  type: ClusterIP
  {{- $isHeadless := or (eq .kind "StatefulSet") (hasKey . "isOne") }}
  {{- if $isHeadless }}
  clusterIP: None
  {{- end }}
  selector:
    {{- include "ringmaster.selector" (list $root $name) | nindent 4 }}
  ports:
    - {name: http, port: {{ ternary .port 80 $isHeadless }}, targetPort: http, protocol: TCP}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "ringmaster.metadata" (list $root $name $name) | nindent 2 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      {{- include "ringmaster.selector" (list $root $name) | nindent 6 }}
{{- end }}
