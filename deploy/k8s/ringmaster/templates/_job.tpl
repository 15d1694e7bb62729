{{/* A Job of the command line. Takes a dict: root, name, arguments, env, tenants (ConfigMaps' names), files. */}}
{{- define "ringmaster.jobSpec" -}}
backoffLimit: 8
activeDeadlineSeconds: 1800
template:
  metadata:
    labels:
      {{- include "ringmaster.podLabels" (list .root "jobs") | nindent 6 }}
  spec:
    {{- include "ringmaster.jobPod" . | nindent 4 }}
{{- end }}

{{/* The pod of such a Job, or one that is tried once and alone. Takes the same. */}}
{{- define "ringmaster.jobPod" -}}
{{- $root := .root }}
restartPolicy: Never
serviceAccountName: {{ include "ringmaster.name" $root }}-jobs
automountServiceAccountToken: false
enableServiceLinks: false
{{- include "ringmaster.pullSecrets" $root | nindent 0 }}
securityContext:
  {{- include "ringmaster.podSecurity" $root | nindent 2 }}
containers:
  - name: {{ .name }}
    image: {{ include "ringmaster.image" (list $root "tools") }}
    imagePullPolicy: {{ $root.Values.image.pullPolicy }}
    args: {{ .arguments | toJson }}
    terminationMessagePolicy: FallbackToLogsOnError
    securityContext:
      {{- include "ringmaster.containerSecurity" $root | nindent 6 }}
    env:
      {{- .env | trim | nindent 6 }}
    resources:
      {{- toYaml $root.Values.jobs.resources | nindent 6 }}
    volumeMounts:
      - {name: tmp, mountPath: /tmp}
      {{- include "ringmaster.kafka.mount" $root | trim | nindent 6 }}
      {{- with .tenants }}
      - {name: tenants, mountPath: /tenants, readOnly: true}
      {{- end }}
      {{- with .files }}
      - {name: files, mountPath: /etc/ringmaster, readOnly: true}
      {{- end }}
volumes:
  - name: tmp
    emptyDir: {sizeLimit: 64Mi}
  {{- include "ringmaster.kafka.volume" $root | trim | nindent 2 }}
  {{- with .tenants }}
  - name: tenants
    projected:
      sources:
        {{- range . }}
        - configMap: {name: {{ . }}}
        {{- end }}
  {{- end }}
  {{- with .files }}
  {{- include "ringmaster.filesVolume" (list $root . "may be missing") | nindent 2 }}
  {{- end }}
{{- end }}

{{/*
The documents by file name, those whose id's hash begins with a digit: one ConfigMap of all would be too large for a cluster
(1 MiB) from some 180 companies on. A tenant's place in the values has to be its own id. Takes (list root digit).
*/}}
{{- define "ringmaster.tenantFiles" -}}
{{- range $id, $document := (index . 0).Values.tenants }}
{{- if ne $id $document.tenant_id }}{{ fail (printf "tenants.%s.tenant_id is %s: a document stands under its own id" $id $document.tenant_id) }}{{ end }}
{{- if eq (sha256sum $id | trunc 1) (index $ 1) }}
{{ $id }}.yaml: |
  {{- toYaml $document | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{/* Paths of the documents for the command line, as JSON. Takes the values and the words before. */}}
{{- define "ringmaster.tenantArguments" -}}
{{- $words := index . 1 }}
{{- range $id, $_ := (index . 0).Values.tenants }}{{ $words = append $words (printf "/tenants/%s.yaml" $id) }}{{ end }}
{{- toJson $words }}
{{- end }}
