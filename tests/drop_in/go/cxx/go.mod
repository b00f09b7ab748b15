module example.test/cxx

go 1.22
