"""Commands, and what they cost.

In:  a command line.  Out: its exit status, seconds, and peak memory.
Wall time is from before a command is started until it has ended; peak memory is as the kernel counts it (getrusage(2), maxrss).
Invariant: whatever this script holds in memory, the measured peak has a floor of about 18 MB only: the launcher's own.
"""
import json
import os
import signal
import time

from benchmarks.outcome import require


class Run:
    """A command that has ended: exit status, seconds, and peak memory in bytes."""

    def __init__(self, status, seconds, peak):
        self.status, self.seconds, self.peak = status, seconds, peak


class Launcher:
    """Starts commands from a process that stays small.

    The peak memory that the kernel gives for a child is at least that of the process it was forked from, and this script
    grows. So the launcher is forked at the beginning, and takes its orders through a pipe: a line of JSON for each.
    """

    def __init__(self, environment, directory):
        order_end, self.orders = os.pipe()
        self.answers, answer_end = os.pipe()
        self.process = os.fork()
        if self.process == 0:
            try:
                os.close(self.orders)
                os.close(self.answers)
                os.chdir(directory)
                Launcher.serve(order_end, answer_end, environment)
            finally:
                os._exit(0)
        os.close(order_end)
        os.close(answer_end)
        self.lines = os.fdopen(self.answers)

    @staticmethod
    def serve(order_end, answer_end, environment):
        child = None

        def end(*_):
            if child:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
            os._exit(0)

        # Ctrl-C reaches the commands as it reaches the script, which then ends this process.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, end)
        for line in os.fdopen(order_end):
            command, output, errors = json.loads(line)
            writing = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            actions = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                       (os.POSIX_SPAWN_OPEN, 1, output, writing, 0o600), (os.POSIX_SPAWN_OPEN, 2, errors, writing, 0o600)]
            start = time.perf_counter()
            child = os.posix_spawn(command[0], command, environment, file_actions=actions, setsigdef=[signal.SIGINT, signal.SIGPIPE])
            _, status, usage = os.wait4(child, 0)
            seconds = time.perf_counter() - start
            child = None
            answer = json.dumps([os.waitstatus_to_exitcode(status), seconds, usage.ru_maxrss * 1024])
            os.write(answer_end, answer.encode() + b"\n")

    def run(self, command, output, errors):
        os.write(self.orders, json.dumps([command, output, errors]).encode() + b"\n")
        line = self.lines.readline()
        require(line, "the process that starts commands has ended")
        return Run(*json.loads(line))

    def close(self):
        """Ends the process, and the command that it may be waiting for."""
        os.kill(self.process, signal.SIGTERM)
        os.waitpid(self.process, 0)
        os.close(self.orders)
        self.lines.close()
