# The example of R's page for layer_conv_1d_transpose.
library(reticulate)

keras <- import("keras")
convt <- import("keras_convt")
layer_conv_1d_transpose <- convt$layer_conv_1d_transpose
shape <- function(x) unlist(keras$ops$shape(x))

x <- keras$random$uniform(c(4L, 10L, 128L))
y <- x |> layer_conv_1d_transpose(32, 3, 2, activation = "relu")
print(shape(y))
