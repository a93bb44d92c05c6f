"""A Slurm of two nodes on this machine's loopback, as root, with nothing outside its own folder."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "squeue", "sinfo")
PORTS = (16817, 16818, 16819)
CONFIGURATION = """
ClusterName=two-nodes
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
MailProg=/bin/true
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,bf_interval=1
ReturnToService=2
SlurmdTimeout=10
KillWait=20
MinJobAge=3600
SlurmdParameters=config_overrides
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=1 RealMemory=4000 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=1 RealMemory=4000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=01:00:00 State=UP DefMemPerCPU=500
"""


def missing() -> str:
    """Why no Slurm can be started here; empty where it can."""
    absent = [name for name in PROGRAMS if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None]
    if absent:
        return f"{', '.join(absent)} not installed (slurm-wlm, munge)"
    if os.geteuid() != 0:
        return "a Slurm of one's own needs root here"
    for port in PORTS:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return f"port {port} is taken"
    return ""


class Slurm:
    """The running cluster."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("munge", "state", "spool", "log"):
            (folder / name).mkdir()
        folder.chmod(0o755)
        (folder / "munge").chmod(0o755)
        key = folder / "munge/munge.key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(1024))
        host = socket.gethostname().partition(".")[0]
        self._configuration = folder / "slurm.conf"
        self._configuration.write_text(CONFIGURATION.format(host=host, folder=folder, ports=PORTS))
        files = {
            "key-file": "munge.key", "socket": "munge.socket", "seed-file": "munged.seed",
            "pid-file": "munged.pid", "log-file": "munged.log",
        }  # fmt: skip
        self.run("munged", *(f"--{name}={folder}/munge/{file}" for name, file in files.items()), "--force")
        self.run("slurmctld", "-c")
        for node in ("n1", "n2"):
            self.start_node(node)
        self.until(lambda: self.run("sinfo", "-h", "-p", "main", "-t", "idle", "-o", "%D").strip() == "2", 30)

    def run(self, *words: str) -> str:
        """What a program prints."""
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SLURM_")},
            "PATH": f"{os.environ['PATH']}:/usr/sbin",
            "SLURM_CONF": str(self._configuration),
        }
        done = subprocess.run(words, capture_output=True, text=True, env=environment, cwd=self.folder)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout

    def start_node(self, node: str) -> None:
        """Start the daemon of a node."""
        self.run("slurmd", "-N", node)

    def lose_node(self, node: str) -> None:
        """End a node's daemon and all its tasks at once, as a power failure does."""
        jobs = self.run("squeue", "-h", "-w", node, "-o", "%A").split()
        os.kill(int((self.folder / f"slurmd-{node}.pid").read_text()), signal.SIGKILL)
        for job in jobs:
            subprocess.run(["pkill", "-KILL", "-f", rf"slurmstepd: \[{job}\."])
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    own = (process / "environ").read_bytes().split(b"\0")
                    if f"SLURM_JOB_ID={job}".encode() in own:
                        os.kill(int(process.name), signal.SIGKILL)
                except OSError:
                    continue

    def tasks(self, job: str) -> dict[str, tuple[str, str, str]]:
        """Of each task of an array (or the job itself): its job id, its state and its node, by its index."""
        lines = self.run("squeue", "-h", "-r", "-t", "all", "-j", job, "-o", "%K %A %T %N").splitlines()
        return {index: (own, state, *node) for index, own, state, *node in map(str.split, lines)}  # type: ignore[misc]

    def release(self, job: str) -> None:
        """Let requeued tasks start at once, where Slurm would let them wait two minutes."""
        waiting = self.run("squeue", "-h", "-r", "-t", "pending", "-j", job, "-o", "%A %r").splitlines()
        for own, reason in map(str.split, waiting):
            if reason == "BeginTime":
                self.run("scontrol", "update", f"JobId={own}", "StartTime=now")

    def until(self, happens: Callable[[], object], patience: float) -> None:
        """Wait."""
        end = time.monotonic() + patience
        while not happens():
            assert time.monotonic() < end, (self.folder / "log/slurmctld.log").read_text()[-3000:]
            time.sleep(0.5)

    def end(self) -> None:
        """End the cluster, and what still runs on it."""
        for node in ("n1", "n2"):
            if self.run("squeue", "-h", "-w", node, "-o", "%A").split():
                self.lose_node(node)
        for file in [*self.folder.glob("slurm*.pid"), self.folder / "munge/munged.pid"]:
            try:
                os.kill(int(file.read_text()), signal.SIGTERM)
            except (OSError, ValueError):
                continue
