module example/web

go 1.26
