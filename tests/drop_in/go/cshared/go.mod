module example.test/cshared

go 1.22
