/* Runs one program to its end and says what it took, as JSON: wall seconds, seconds of processor, peak memory in KiB, exit
 * code. A process that is started out of Python has Python's memory as its peak, and Python's own time around it.
 * Usage: launch OUTPUT PROGRAM ARGUMENT…; output and errors of the program go to the file OUTPUT. */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static double seconds(struct timeval tv) { return tv.tv_sec + tv.tv_usec / 1e6; }

int main(int argc, char **argv)
{
    posix_spawn_file_actions_t files;
    struct timespec begin, end;
    struct rusage usage;
    pid_t pid;
    int status;
    if (argc < 3)
        return 2;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, 1, argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_adddup2(&files, 1, 2);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    if (posix_spawnp(&pid, argv[2], &files, NULL, argv + 2, environ) != 0)
        return 2;
    if (wait4(pid, &status, 0, &usage) != pid)
        return 2;
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("{\"seconds\": %.9f, \"processor\": %.6f, \"memory\": %ld, \"code\": %d}\n",
           (end.tv_sec - begin.tv_sec) + (end.tv_nsec - begin.tv_nsec) / 1e9,
           seconds(usage.ru_utime) + seconds(usage.ru_stime), usage.ru_maxrss,
           WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    return 0;
}
