/*
 * Every bound on size, count, depth and time, each with its reason. A limit is
 * checked before the memory is taken; what is over it is an error that says so.
 */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

/* JSON: the API server itself refuses objects nested deeper than a few hundred. */
#define LIMIT_JSON_DEPTH 256
#define LIMIT_JSON_BYTES (64u << 20)

/* A frame between roles. Larger content travels in a sealed memfd. */
#define LIMIT_FRAME_BYTES (64u << 20)

/* Manifests of one Application (reliability.md 5.5; Argo CD allows the same 10 MiB). */
#define LIMIT_MANIFEST_BYTES (10u << 20)
#define LIMIT_MANIFEST_FILES 10000u
#define LIMIT_OBJECTS 5000u
#define LIMIT_OBJECT_BYTES (1536u << 10)         /* etcd's request limit */

/* YAML (reliability.md 5.5): depth alone gives no protection against aliases, so expanded nodes are counted. */
#define LIMIT_YAML_DEPTH 64
#define LIMIT_YAML_NODES 500000u
#define LIMIT_YAML_ALIAS_NODES 50000u
#define LIMIT_YAML_ANCHORS 1000u
#define LIMIT_YAML_KEY_BYTES 1024u
#define LIMIT_YAML_SCALAR_BYTES (1u << 20)
#define LIMIT_YAML_DOCUMENTS 5000u
#define LIMIT_RENDER_NODES 2000000u              /* of all files of one job; about 100 bytes of memory each */
#define LIMIT_RENDER_PROBLEMS 10u                /* errors told of one revision */

/* Evidence of one image (supply-chain.md 2.1; CVE-2024-29902 and its kin). */
#define LIMIT_OCI_MANIFEST_BYTES (4u << 20)
#define LIMIT_OCI_BLOB_BYTES (10u << 20)
#define LIMIT_REFERRERS 1000u                    /* that may be signatures, of one image */
#define LIMIT_LAYERS 1000u                       /* of one manifest of legacy signatures, as many as cosign reads */
#define LIMIT_SIGNATURES 2000u                   /* told of one image, all formats together */
#define LIMIT_FETCHED 100u                       /* of one image: referrers that may be signatures; and blobs of legacy ones, which share them */
#define LIMIT_REFERRER_PAGES 10u
#define LIMIT_REGISTRY_REQUESTS 600u             /* for one image: three a bundle where blobs are redirected, and two a blob; tokens included */
#define LIMIT_EVIDENCE_SECONDS 20                /* for one image */
#define LIMIT_EVIDENCE_BYTES (32u << 20)         /* for one image, all documents together */
#define LIMIT_SUBJECTS 1024u                     /* of an in-toto statement */
#define LIMIT_SUBJECT_DIGESTS 32u
#define LIMIT_TLOG_ENTRIES 32u
#define LIMIT_TIMESTAMPS 32u

/* Policy objects: a person writes these. */
#define LIMIT_POLICIES 1000u
#define LIMIT_AUTHORITIES 100u
#define LIMIT_TRUST_KEYS 1000u                   /* of all policies, tried on one image */
#define LIMIT_KEY_WORK 600000u                   /* on signatures times keys, for one image, in units of 50 us (verify/key.h): 30 s of a job's 60 */
#define LIMIT_IMAGES 5000u                       /* different ones judged for one revision, as many as it may have objects; 2 kB of core each */
#define LIMIT_GLOBS 200u
#define LIMIT_GLOB_BYTES 512u
#define LIMIT_GLOB_ALTERNATIVES 64u              /* of all {a,b} of one glob, multiplied */

/* HTTP answers (reliability.md 5.5). */
#define LIMIT_HTTP_BODY_BYTES (64u << 20)
#define LIMIT_HTTP_HEADER_BYTES (64u << 10)
#define LIMIT_HTTP_REDIRECTS 3

/* Git. */
#define LIMIT_GIT_REFS 200000u                   /* advertised refs kept in memory while resolving */
#define LIMIT_GIT_REVISION_BYTES 1024u           /* of a targetRevision; Git's own files bound a name of a ref to less */
#define LIMIT_GIT_ASKED 4096u                    /* revisions in one question to a server, */
#define LIMIT_GIT_ASKED_BYTES (1u << 20)         /* and of these so much: some servers take no question of more than 10 MiB, and each is named three times */
#define LIMIT_GIT_HISTORY 100000u                /* commits walked to find the newest that changed a path */
#define LIMIT_GIT_TREE_DEPTH 64
#define LIMIT_GIT_PATH_BYTES 4096u
#define LIMIT_GIT_COMMIT_BYTES (1u << 20)        /* and of an annotated tag: all of it is read into memory */
#define LIMIT_GIT_TREE_BYTES (64u << 20)         /* of one folder, likewise: a million files with names of 40 bytes */
#define LIMIT_GIT_TREE_ENTRIES 1000000u          /* looked at while selecting the files of one revision */
#define LIMIT_GIT_HISTORY_ENTRIES 20000000u      /* compared while walking the history of one path */
#define LIMIT_GIT_CHANGED 20000u                 /* paths told of one new commit; past it all Applications of the repository look */
#define LIMIT_GIT_MEMO 20000u                    /* (path, options) pairs whose newest revision is remembered */
#define LIMIT_GIT_PACK_BYTES (2ull << 30)        /* received in one fetch */
#define LIMIT_GIT_ROOM_KEPT (1ull << 30)         /* of the volume, or an eighth: the audit log must go on whatever is fetched */
#define LIMIT_GIT_ROOM_BYTES (1ull << 20)        /* received between two looks at the room that is left */
#define LIMIT_GIT_ROOM_SHARE 4u                   /* times what it leaves to others of the volume, a mirror may grow to */
#define LIMIT_GIT_PACK_OBJECTS 20000000u
#define LIMIT_GIT_PACKS 100u                     /* in a mirror before its small ones are put together */
#define LIMIT_GIT_SMALL_PACK_BYTES (8u << 20)    /* what such a small one is */
#define LIMIT_GIT_OPEN_PACKS 256u                /* kept open at a time: descriptors are limited too */
#define LIMIT_GIT_CONNECT_MS 10000
#define LIMIT_GIT_REFS_MS 20000                  /* one request for refs */
#define LIMIT_GIT_FETCH_MS 600000                /* one pack */
#define LIMIT_GIT_STALL_S 30                     /* less than 1 KiB/s for so long is a dead connection */
#define LIMIT_GIT_PATIENCE_MS 250                /* then what is in the mirror is had without the server: one that is well has answered by now */
#define LIMIT_GIT_START_PATIENCE_MS 5000         /* likewise after a start, of which nobody knows whether it drifted: all look at once then */
#define LIMIT_GIT_READER_IDLE_MS 10000           /* until the process for that goes: drift comes in bursts, and it takes memory */
#define LIMIT_GIT_IDLE_PROCESSES 32u             /* kept for their next job, of all repositories; each takes 4 MiB */
#define LIMIT_GIT_LOOK_EVERY_MS 500             /* past those one more is started so often for nothing but a look whether there is a new commit */
#define LIMIT_GIT_POLLS 48u                      /* servers asked at a time what they have; half of it where none has answered yet, or not lately */
#define LIMIT_GIT_FETCHES 24u                    /* packs under way at a time; a project has no more of them than it leaves to others */
#define LIMIT_GIT_SUBJECT_BYTES 256u             /* of a commit's first line and of each name in it */

/* Audit log (C2SP tlog-tiles: entries are 16-bit length-prefixed). */
#define LIMIT_RECORD_BYTES 65535u
#define LIMIT_RECORD_INLINE_BYTES (60u << 10)    /* larger bodies lie beside the log */
#define LIMIT_AUDIT_BODY_BYTES (64u << 20)       /* of one record, beside the log */
#define LIMIT_AUDIT_QUEUE_BYTES (8u << 20)       /* records waiting for one commit; past it they are written at once */
#define LIMIT_AUDIT_JOURNAL_BYTES (4u << 20)     /* what a restart reads and writes again, and holds in memory three times */
#define LIMIT_AUDIT_OPEN_RECORDS (1u << 20)      /* whose text is checked at start: 2 s; hashes are checked of all */
#define LIMIT_AUDIT_OPEN_INTENTS 100000u         /* without a result, told at one start */
#define LIMIT_AUDIT_VERIFY_THREADS 8u
#define LIMIT_APISERVER_EVENT_BYTES (8u << 20)   /* one line of the cluster's audit log: a request and a response body */
#define LIMIT_APISERVER_EVENTS 50000000u         /* governed writes kept in memory by `audit join` */
#define LIMIT_EXTRAS 100u                        /* shown in a status */
#define LIMIT_STATUS_RESOURCES 100u              /* not in order, shown in a status */

/* What is served over HTTP: probes and metrics. Nobody who asks is known. */
#define LIMIT_WEB_CONNECTIONS 256                /* one more ends the one that has been quiet longest */
#define LIMIT_WEB_HEAD_BYTES 8192u               /* request line and headers */
#define LIMIT_WEB_REQUEST_MS 5000                /* from a request's first byte to its last */
#define LIMIT_WEB_IDLE_MS 60000                  /* between requests of one connection; Prometheus asks every 15 to 60 s */
#define LIMIT_WEB_WRITE_MS 10000                 /* until an answer is taken */
#define LIMIT_WEB_CORE_MS 5000                   /* until core has answered */
#define LIMIT_WEB_ASKS_PER_SECOND 50             /* of core; a web role that asks more often is ended */
#define LIMIT_METRIC_SERIES 500u                 /* of one family */
#define LIMIT_METRIC_APP_SERIES 20000u           /* of a family with one or a few series an Application */

/* What a worker that speaks to strangers may allocate: a large repository needs some 100 bytes an object while a pack of it is indexed. */
#define LIMIT_WORKER_DATA_BYTES (512ull << 20)

/* A job of a worker, wall clock, milliseconds. */
#define LIMIT_JOB_MS 60000

#endif
