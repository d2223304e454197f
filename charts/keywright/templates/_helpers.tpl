{{/* Labels of an object of the chart. Called with (list $ "component"). */}}
{{- define "keywright.labels" -}}
{{ include "keywright.selector" . }}
app.kubernetes.io/part-of: keywright
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version | replace "+" "_" }}
{{- end }}

{{/* What selects the pods of a component. */}}
{{- define "keywright.selector" -}}
app.kubernetes.io/name: keywright-{{ index . 1 }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name | quote }}
{{- end }}

{{/* An image. Called with (list $ "image" "key in digests"). */}}
{{- define "keywright.image" -}}
{{- $values := (index . 0).Values.image -}}
{{- $digest := get $values.digests (index . 2) -}}
{{- if $digest -}}
{{ $values.registry }}/{{ index . 1 }}@{{ $digest }}
{{- else -}}
{{ $values.registry }}/{{ index . 1 }}:{{ $values.tag | default (index . 0).Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* Why what linters find is as it is, as annotations that Checkov and kube-linter read. Called with a list of keys. */}}
{{- define "keywright.explained" -}}
{{- $reasons := dict
  "cpu" "CKV_K8S_11=A CPU limit would slow down issuing just when all is renewed at once; requests keep the share"
  "digest" "CKV_K8S_43=Digests are those of your own images: image.digests takes them"
  "pull" "CKV_K8S_15=A pod must start again while the registry is down; with image.digests the image cannot differ"
  "token" "CKV_K8S_38=It speaks to the API server under its own ServiceAccount, whose rights are listed in docs/install.md"
  "probes" "CKV_K8S_8=It runs once and ends"
  "ready" "CKV_K8S_9=It runs once and ends, and serves nobody"
-}}
{{- range $index, $key := . }}
checkov.io/skip{{ add1 $index }}: {{ required $key (get $reasons $key) | quote }}
{{- end }}
{{- end }}

{{/* kube-linter's finding where copies are kept apart by other means. */}}
{{- define "keywright.explainedSpread" -}}
ignore-check.kube-linter.io/no-anti-affinity: "topologySpreadConstraints spread the pods over nodes"
{{- end }}

{{/* Pod Security `restricted`, for the pod. Mounted Secrets are readable by the group alone. */}}
{{- define "keywright.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* Pod Security `restricted`, for the container. */}}
{{- define "keywright.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* How many replicas a budget of disruptions keeps: with a number, never all of them, else no node could be drained. Empty: no
budget. Called with the component's values. */}}
{{- define "keywright.keptAvailable" -}}
{{- $least := .podDisruptionBudget.minAvailable -}}
{{- if not (kindIs "string" $least) }}{{ $least = min (int $least) (sub (int .replicas) 1) }}{{ end -}}
{{- if and .podDisruptionBudget.enabled $least }}{{ $least }}{{ end -}}
{{- end }}

{{/* Where a pod may run. Called with (list $ "component" values defaultPriority). */}}
{{- define "keywright.placement" -}}
{{- $ := index . 0 -}}
{{- $values := index . 2 -}}
{{- $priority := $values.priorityClassName | default (ternary (index . 3) "" $.Values.priorityClasses.create) -}}
{{- with $.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- with $priority }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Replicas apart from each other, where that can be. Called with (list $ "component" values). */}}
{{- define "keywright.spread" -}}
topologySpreadConstraints:
{{- with (index . 2).topologySpreadConstraints }}
  {{- toYaml . | nindent 2 }}
{{- else }}
  {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "keywright.selector" $ | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end }}
{{- end }}

{{/* Manifests of files/, as every test runs them, in the release's namespace and with the chart's labels. Called with
(list $ "component" text). */}}
{{- define "keywright.manifests" -}}
{{- $ := index . 0 -}}
{{- $labels := include "keywright.labels" (list $ (index . 1)) | fromYaml -}}
{{- range regexSplit "(?m)^---$" (index . 2) -1 }}
{{- /* Alone it is a value, which could read as a number; elsewhere it is part of a text. */}}
{{- $object := regexReplaceAll "(?m)namespace: keywright-system$" . (printf "namespace: %q" $.Release.Namespace) | replace "keywright-system" $.Release.Namespace | fromYaml }}
{{- $_ := set $object.metadata "labels" (merge (dict) ($object.metadata.labels | default dict) $labels) }}
---
{{ toYaml $object }}
{{- end }}
{{- end }}

{{/* The namespaces that are served when not all are, the check's among them; a JSON list. */}}
{{- define "keywright.namespaces" -}}
{{- $all := .Values.namespaces | default list -}}
{{- if has .Release.Namespace $all }}
{{- fail "namespaces: the release's own namespace holds the suite's own keys and cannot be served; use another one" }}
{{- end -}}
{{- with .Values.check.namespace }}{{ $all = append $all . }}{{ end -}}
{{- if not $all }}
{{- fail "namespaces: none is served, as the list and check.namespace are empty; name one, or set clusterWide=true" }}
{{- end -}}
{{ $all | uniq | sortAlpha | toJson }}
{{- end }}

{{/* Arguments of a part that exports spans. Called with (list $ endpoint). */}}
{{- define "keywright.traces" -}}
{{- with index . 1 -}}
- {{ printf "--otlp-endpoint=%s" . | quote }}
{{- if and (hasPrefix "https://" .) (not ((index $ 0).Values.tracing).caConfigMap) }}
{{- fail "tracing.caConfigMap: is empty, and an endpoint of tracing says https; name the ConfigMap with the collector's roots" }}
{{- end }}
{{- if ((index $ 0).Values.tracing).caConfigMap }}
- --otlp-ca=/var/run/keywright/collector/ca.crt
{{- end }}
{{- end -}}
{{- end }}

{{/* Where the collector's roots are mounted. Called with (list $ endpoint). */}}
{{- define "keywright.tracesMount" -}}
{{- if and (index . 1) ((index . 0).Values.tracing).caConfigMap -}}
- {name: collector, mountPath: /var/run/keywright/collector, readOnly: true}
{{- end -}}
{{- end }}

{{/* The volume of it. Called with (list $ endpoint). */}}
{{- define "keywright.tracesVolume" -}}
{{- with ((index . 0).Values.tracing).caConfigMap -}}
{{- if index $ 1 -}}
- name: collector
  configMap: {name: {{ . | quote }}, defaultMode: 0440}
{{- end -}}
{{- end -}}
{{- end }}
