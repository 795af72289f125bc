module countersign.dev/hack/stack/servers

go 1.26.0
