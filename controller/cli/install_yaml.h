/* manifests/install.yaml and namespace-install.yaml of this very version, inside the program. */
#ifndef CLI_INSTALL_YAML_H
#define CLI_INSTALL_YAML_H

#include "base/arena.h"
#include "base/json.h"

enum install_form { INSTALL_CLUSTER, INSTALL_NAMESPACED };

/*
 * The text for another namespace and image than the shipped ones (NULL: those), in the arena. Both must have been checked: they
 * stand in YAML as they are.
 */
struct span install_yaml_text(struct arena *arena, enum install_form form, const char *namespace, const char *image);
/* Its objects, in the order of the file: an array. */
struct json *install_yaml_objects(struct arena *arena, struct span text);
/* A DNS label, as names of namespaces and service accounts are: nothing else may get into YAML that somebody applies. */
bool install_yaml_is_name(const char *text);

#endif
