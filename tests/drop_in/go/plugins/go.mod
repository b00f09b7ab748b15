module example.test/plugins

go 1.22
