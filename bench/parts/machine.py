"""The machine and what is installed on it."""

import os
import platform
import shutil
import subprocess

IN_MEMORY = {"tmpfs", "ramfs", "devtmpfs", "hugetlbfs"}
BASELINES = {"etcd": "etcd-server", "redis-server": "redis-server", "go": "golang-go", "perf": "linux-perf"}


def file_system(path):
    """The type of the file system that holds `path`, by the longest mount point above it."""
    path = os.path.realpath(path)
    best, kind = "", "unknown"
    with open("/proc/self/mounts", encoding="utf-8") as file:
        for line in file:
            _, mount, found = line.split()[:3]
            mount = mount.replace("\\040", " ")
            if (path == mount or path.startswith(mount.rstrip("/") + "/")) and len(mount) >= len(best):
                best, kind = mount, found
    return kind


def refuse_memory(path):
    kind = file_system(path)
    if kind in IN_MEMORY:
        raise SystemExit(f"bench: {path} is on {kind}, where a write costs nothing: choose another with --data")
    return kind


def install_baselines(programs):
    missing = [BASELINES[program] for program in programs if not shutil.which(program)]
    if not missing:
        return
    print(f"bench: installing {' '.join(missing)}", flush=True)
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    apt = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-o", "DPkg::Lock::Timeout=600"]
    subprocess.run([*apt, "update"], check=True)
    subprocess.run([*apt, "install", "--yes", "--no-install-recommends", *missing], check=True,
                   stdout=subprocess.DEVNULL)


def first_line(*command):
    if not shutil.which(command[0]):
        return "not installed"  # only the systems that are compared need their program
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).strip().splitlines()[0] if done.returncode == 0 else "unknown"


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        return next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "unknown")


def describe(folder, root):
    return {
        "processor": processor(),
        "processors": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "file_system": file_system(folder),
        "commit": first_line("git", "-C", root, "rev-parse", "--short", "HEAD"),
        "etcd": first_line("etcd", "--version"),
        "redis": first_line("redis-server", "--version"),
        "load_average": os.getloadavg(),
    }
