/*
 * `countersign build DIR`: what the controller would make of a folder, before
 * it is pushed.
 */
#ifndef CLI_BUILD_H
#define CLI_BUILD_H

/*
 * build DIR [--recurse] [--include GLOB] [--exclude GLOB] [-o yaml|json]
 *
 * Reads the folder with the rules of directory sources (a `.git` folder is left
 * out, untracked files are not), renders it and prints the objects: YAML
 * documents, each under a comment with its place, or JSON, one a line. What is
 * wrong goes to stderr as "error: DIR/file:line: ..." and nothing is printed.
 * Returns an exit code of cli.h.
 */
int cli_build(int argc, char **argv);

#endif
