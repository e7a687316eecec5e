{{/* One daemon a node: one release a cluster, and fixed names. */}}
{{- define "k8shsvc.labels" -}}
app.kubernetes.io/name: k8shsvc
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* A Role or ClusterRole and its binding: dict "root" $ "name" NAME "namespace" NAMESPACE "group" G "resource" R "verbs" V */}}
{{- define "k8shsvc.right" -}}
{{- $kind := ternary "Role" "ClusterRole" (hasKey . "namespace") -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . | quote }}
  {{- end }}
  labels:
    {{- include "k8shsvc.labels" .root | nindent 4 }}
rules:
  - apiGroups: [{{ .group | quote }}]
    resources: [{{ .resource }}]
    verbs: [{{ join ", " .verbs }}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}Binding
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . | quote }}
  {{- end }}
  labels:
    {{- include "k8shsvc.labels" .root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ $kind }}
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: k8shsvc
    namespace: {{ .root.Release.Namespace | quote }}
{{- end }}
