"""What the end-to-end tests and the story stand on: the local stack, and a thin handle for each of its parts.

stack       the running parts: addresses, credentials, outages
kube        the API server, as an administrator or as anybody else
gitrepo     repositories on the Git server
images      images in a registry, and cosign signatures of them
controller  an installed Countersign and its process
tenant      an application team: namespace, project, service account, rights
auditlog    the API server's audit log, and ours
wait        waiting with a deadline, and saying what was seen last
"""
