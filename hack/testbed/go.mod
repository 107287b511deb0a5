module orbit-plane.example/testbed

go 1.26.0
