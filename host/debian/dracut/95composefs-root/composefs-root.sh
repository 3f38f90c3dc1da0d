#!/bin/sh
# Composes /sysroot; run by composefs-root.service, once the physical root is mounted there.
# shellcheck disable=SC2034 # for root.sh
cfs_root=/sysroot
# shellcheck source=host/debian/composefs/root.sh
. /usr/lib/composefs/root.sh

cfs_parse_cmdline
# Without composefs= this is an ordinary boot: the command line is signed, so the disk cannot choose it.
[ -z "$cfs_digests" ] || cfs_compose
