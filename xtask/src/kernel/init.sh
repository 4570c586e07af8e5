#!/bin/busybox sh
# The first process of the machine that `cargo xtask kernel` boots: it runs the suites and powers off.
/bin/busybox --install -s /bin
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
mount -t cgroup2 cgroup /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
for module in veth bridge tun sch_ingress cls_bpf cls_u32; do
    modprobe "$module" || echo "no module $module"
done
ip link set lo up
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
echo "==> Linux $(uname -r)"
. /suites.sh
echo "==> powered off after $(cut -d. -f1 /proc/uptime) s"
poweroff -f
