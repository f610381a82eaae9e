module socialflow/pion

go 1.19
