{{- /* What a selector of the DaemonSet's Pods matches; it can't change later. */ -}}
{{- define "sluice.selectorLabels" -}}
app.kubernetes.io/name: sluice
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "sluice.labels" -}}
{{ template "sluice.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- /* Not empty where somebody from outside the node reads metrics. */ -}}
{{- define "sluice.isMonitored" -}}
{{ if or .Values.podMonitor.enabled .Values.serviceMonitor.enabled }}true{{ end }}
{{- end }}

{{- define "sluice.image" -}}
{{ required "image.repository: an image is needed" .Values.image.repository -}}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- /* Cluster-wide objects are named after the namespace too: two releases can't share them. */ -}}
{{- define "sluice.clusterName" -}}
{{ if eq .Release.Namespace .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Namespace }}-{{ .Release.Name }}{{ end }}
{{- end }}

{{- define "sluice.securityContext" -}}
readOnlyRootFilesystem: true
{{- if .Values.securityContext.privileged }}
privileged: true
{{- else }}
privileged: false
allowPrivilegeEscalation: false
runAsUser: 0
capabilities:
  drop: [ALL]
  add:
    {{- toYaml .Values.securityContext.capabilities | nindent 4 }}
{{- end }}
{{- if eq .Values.appArmor "field" }}
appArmorProfile:
  type: Unconfined
{{- end }}
{{- with .Values.securityContext.seLinuxOptions }}
seLinuxOptions:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "sluice.volumeMounts" -}}
- name: bpffs
  mountPath: /sys/fs/bpf
  # Where the node has no BPF file system the agent mounts one, which the node has to see: its pins outlive the Pod. The
  # API server allows it to privileged containers only.
  mountPropagation: {{ if .Values.securityContext.privileged }}Bidirectional{{ else }}HostToContainer{{ end }}
- name: cgroup
  # Not over /sys/fs/cgroup, where the runtime shows a container its own group as the root.
  mountPath: /host/cgroup
- name: run
  mountPath: /run/sluice
{{- end }}

{{- define "sluice.volumes" -}}
- name: bpffs
  hostPath:
    path: /sys/fs/bpf
    type: Directory
- name: cgroup
  hostPath:
    path: {{ .Values.cgroupHostPath }}
    type: Directory
# The lock that refuses a second agent of this node, and what `sluice status` reads on the node itself.
- name: run
  hostPath:
    path: /run/sluice
    type: DirectoryOrCreate
{{- end }}

{{- define "sluice.probe" -}}
port: {{ .Values.probes.port }}
{{- with .Values.probes.host }}
host: {{ . | quote }}
{{- end }}
{{- end }}
