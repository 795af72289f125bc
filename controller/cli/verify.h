/* countersign verify: an image's signatures, judged on a person's machine by the functions that the workers run. */
#ifndef CLI_VERIFY_H
#define CLI_VERIFY_H

/*
 * IMAGE --key FILE [--key FILE]... [--plain-http-registry HOST]... [--registry-ca FILE] [-o json]
 * Needs no cluster; credentials are those of ~/.docker/config.json (or $DOCKER_CONFIG). The result goes to stdout, what
 * was found and refused to stderr. Returns 0 when a key verified a signature, 10 when the image has none, 12 when none
 * matches, 2 for wrong usage, 1 for everything else.
 */
int cli_verify(int argc, char **argv);

#endif
